# Versions side by side below $(PREFIX)/releases, `current` pointing at one and `previous` at the one before.
# DESTDIR puts everything below another root: for packages, and for trying it out.
PREFIX ?= /opt/vcpd
DESTDIR ?=
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' vcpd/__init__.py)
SYSTEMD_VERSION ?= $(shell systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
PIP_WHEEL ?= $(RELEASE)/bin/python -m pip wheel --quiet --no-deps
PIP_LOCKED ?= $(RELEASE)/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
PIP_INSTALL ?= $(RELEASE)/bin/python -m pip install --quiet --no-deps

BASE := $(DESTDIR)$(PREFIX)
RELEASE := $(BASE)/releases/$(VERSION)
UNITS := $(DESTDIR)/etc/systemd/system
# Nothing may speak to the running system while another root is filled.
SYSTEMCTL := $(if $(DESTDIR),:,$(shell command -v systemctl || echo :))

.PHONY: install upgrade rollback uninstall release units

install: release units
	$(call point_at,releases/$(VERSION))
	$(SYSTEMCTL) daemon-reload
	@echo "vcpd $(VERSION) is in $(BASE)/current; next: edit $(DESTDIR)/etc/vcpd/config.toml, then"
	@echo "  systemctl enable --now vcpd && vcpd doctor"

upgrade: installed release units
	$(call point_at,releases/$(VERSION))
	$(SYSTEMCTL) daemon-reload
	$(SYSTEMCTL) try-restart vcpd.service
	@echo "now at $$(readlink $(BASE)/current), before at $$(readlink $(BASE)/previous || echo none)"

.PHONY: installed
installed:
	@test -e $(BASE)/current || { echo "nothing is installed in $(BASE): make install"; exit 1; }

rollback:
	@test -e $(BASE)/previous || { echo "there is no version before this one in $(BASE)"; exit 1; }
	$(call point_at,$$(readlink $(BASE)/previous))
	$(SYSTEMCTL) try-restart vcpd.service
	@echo "now at $$(readlink $(BASE)/current)"

# Configuration, state and secrets stay: who removes a program does not mean to remove what it has gathered.
uninstall:
	-$(SYSTEMCTL) disable --now vcpd.service
	rm -f $(UNITS)/vcpd.service $(UNITS)/vcpd-alert@.service $(UNITS)/vcpd.service.d/notify-reload.conf \
	$(UNITS)/vcpd.service.d/restart-steps.conf
	-rmdir $(UNITS)/vcpd.service.d 2>/dev/null
	rm -f $(DESTDIR)/etc/tmpfiles.d/vcpd.conf $(DESTDIR)/usr/local/bin/vcpd
	rm -f $(DESTDIR)/usr/local/share/man/man1/vcpd.1
	rm -rf $(BASE)/releases $(BASE)/current $(BASE)/previous
	-rmdir $(BASE) 2>/dev/null
	$(SYSTEMCTL) daemon-reload
	@echo "left alone: $(DESTDIR)/etc/vcpd, $(DESTDIR)/var/lib/vcpd, $(DESTDIR)/etc/credstore"

# A version is built once and never changed afterwards: a running daemon may be using it.
release:
	@test -n "$(VERSION)" || { echo "vcpd/__init__.py names no __version__"; exit 1; }
	@if test -e $(RELEASE)/.complete; then echo "$(RELEASE) is there already"; else $(MAKE) --no-print-directory build-release; fi

.PHONY: build-release
build-release:
	rm -rf $(RELEASE)
	mkdir -p $(RELEASE)
	$(PYTHON) -m venv $(RELEASE)
	set -e; source=$$(mktemp -d); trap 'rm -rf "$$source"' EXIT; \
	cp -R vcpd setup.py build_kernels.py pyproject.toml README.md LICENSE "$$source"; \
	$(PIP_WHEEL) --wheel-dir "$$source/wheels" "$$source"; \
	$(PIP_LOCKED); \
	$(PIP_INSTALL) "$$source"/wheels/vcpd-*.whl
	$(if $(DESTDIR),grep -rlZI "$(DESTDIR)" $(RELEASE)/bin $(RELEASE)/pyvenv.cfg | xargs -0r sed -i 's|$(DESTDIR)||g')
	touch $(RELEASE)/.complete

units:
	install -d -m 0755 $(UNITS) $(DESTDIR)/etc/vcpd $(DESTDIR)/etc/tmpfiles.d $(DESTDIR)/usr/local/bin
	install -d -m 0700 $(DESTDIR)/etc/credstore
	install -m 0644 systemd/vcpd.service systemd/vcpd-alert@.service $(UNITS)
	if test "$(or $(SYSTEMD_VERSION),0)" -ge 253; then install -D -m 0644 \
	systemd/vcpd.service.d/notify-reload.conf $(UNITS)/vcpd.service.d/notify-reload.conf; fi
	if test "$(or $(SYSTEMD_VERSION),0)" -ge 254; then install -D -m 0644 \
	systemd/vcpd.service.d/restart-steps.conf $(UNITS)/vcpd.service.d/restart-steps.conf; fi
	install -m 0644 systemd/vcpd.tmpfiles.conf $(DESTDIR)/etc/tmpfiles.d/vcpd.conf
	install -D -m 0644 docs/vcpd.1 $(DESTDIR)/usr/local/share/man/man1/vcpd.1
	ln -sfn $(PREFIX)/current/bin/vcpd $(DESTDIR)/usr/local/bin/vcpd
	test -e $(DESTDIR)/etc/vcpd/config.toml || { \
	sed 's|^#state_dir = .*|state_dir = "/var/lib/vcpd"|' config.toml > $(DESTDIR)/etc/vcpd/config.toml; \
	chmod 0644 $(DESTDIR)/etc/vcpd/config.toml; }

# `current` changes in one step; what it pointed at becomes `previous`, unless it is the same version again.
define point_at
set -e; cd $(BASE); target=$(1); old=$$(readlink current || true); \
if test -n "$$old" && test "$$old" != "$$target"; then ln -sfn "$$old" .previous && mv -T .previous previous; fi; \
ln -sfn "$$target" .current && mv -T .current current
endef
