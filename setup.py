"""The compiled modules; everything else about the package stands in pyproject.toml."""

from setuptools import Extension, setup

from build_kernels import BuildKernels, kernels

setup(
    ext_modules=[Extension(name, [f"{name.replace('.', '/')}.py"]) for name in kernels()],
    cmdclass={"build_ext": BuildKernels},
)
