"""The verbs and their arguments, without anything that they need to run: `vcpd --help` stays quick."""
