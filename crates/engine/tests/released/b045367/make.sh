#!/bin/sh
# Makes a ledger with the binary of an earlier version: `make.sh BINARY DIRECTORY`. Run as root in its own UTS namespace, so that
# neither the machine's name nor its environment is recorded. Sessions run in /tmp, which is everywhere.
set -eu
[ "${FIXTURE:-}" ] || exec unshare --uts env -i FIXTURE=1 PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 sh "$0" "$@"
hostname fixture
binary=$1; export ANTIPHON_DIR=$2
cd /tmp
plan() { cat > "/tmp/$1.yaml"; }

plan release <<'PLAN'
name: release
budget: { sessions: 20, duration: 1h, cost: 2.50 USD, tokens: 1M }
concurrency: 2
labels: { team: core }
work:
  compile: { shell: 'echo compiled; echo warning >&2', output: [], group: built }
  test:
    shell: 'if [ "$ANTIPHON_ATTEMPT" = 1 ]; then echo unlucky >&2; exit 3; fi; echo "{\"output\": {\"passed\": 12}, \"scores\": {\"quality\": 0.5}, \"usage\": {}}" > "$ANTIPHON_RESULT"'
    needs: [compile]
    critical: true
    retry: { attempts: 2, backoff: 10ms }
    output: [passed]
  lint: { shell: 'exit 1', on_failure: continue, retry: { attempts: 1 } }
  docs: { shell: 'exit 0', needs: [lint] }
  package: { shell: 'exit 1', needs: [test], retry: { attempts: 1 } }
  upload: { command: ["true"], needs: [package] }
  slow: { shell: 'sleep 60', timeout: 200ms, retry: { attempts: 1 } }
PLAN
"$binary" run --id release release.yaml || true

plan inner <<'PLAN'
name: inner
budget: { sessions: 2, duration: 10m }
work:
  leaf: { shell: 'echo leaf' }
PLAN
plan outer <<'PLAN'
name: outer
budget: { sessions: 4, duration: 10m }
work:
  child: { plan: inner.yaml }
  after: { command: ["true"], needs: [child] }
PLAN
"$binary" run --id outer outer.yaml || true

plan strict <<'PLAN'
name: strict
budget: { sessions: 4, duration: 10m }
work:
  check: { shell: 'exit 1', on_failure: abort, retry: { attempts: 1 } }
  never: { command: ["true"] }
PLAN
"$binary" run --id strict strict.yaml || true

plan breaking <<'PLAN'
name: breaking
budget: { sessions: 9, duration: 10m }
breaker: 2
retry: { attempts: 1 }
work:
  a: { shell: 'exit 1' }
  b: { shell: 'exit 1' }
  c: { command: ["true"] }
PLAN
"$binary" run --id breaking breaking.yaml || true

plan spent <<'PLAN'
name: spent
budget: { sessions: 2, duration: 10m }
work:
  a: { shell: 'exit 1', retry: { attempts: 2 }, on_failure: continue }
  b: { command: ["true"] }
PLAN
"$binary" run --id spent spent.yaml || true

# Waits for an operator: its budget is spent, and it says pause.
plan waiting <<'PLAN'
name: waiting
budget: { sessions: 2, duration: 10m }
on_exhausted: pause
work:
  a: { shell: 'exit 1', retry: { attempts: 2 }, on_failure: continue }
  b: { shell: 'echo continued', needs: [a] }
PLAN
"$binary" run --id waiting waiting.yaml & waiting=$!
until "$binary" status waiting 2>/dev/null | grep -q -i paus; do sleep 0.05; done
kill -KILL $waiting; wait $waiting || true

# Cancelled by an operator.
plan stopped <<'PLAN'
name: stopped
budget: { sessions: 2, duration: 10m }
work:
  a: { shell: 'touch /tmp/a-runs; exec sleep 600' }
PLAN
rm -f /tmp/a-runs
"$binary" run --id stopped stopped.yaml & stopped=$!
until [ -e /tmp/a-runs ]; do sleep 0.05; done
"$binary" cancel stopped
wait $stopped || true

"$binary" do --id single --attempts 1 -- sh -c 'echo "one command"' || true

# Cut off in the middle: one item is done, one was paused and resumed before, one session runs when the engine dies.
plan overnight <<'PLAN'
name: overnight
budget: { sessions: 10, duration: 1h }
work:
  first: { shell: 'echo first' }
  second: { shell: 'case "$ANTIPHON_SESSION" in *.2) touch /tmp/second-runs; sleep 600;; esac; echo second', needs: [first] }
  third: { shell: 'echo third', needs: [second] }
PLAN
rm -f /tmp/second-runs
"$binary" run --id overnight overnight.yaml & overnight=$!
until [ -e /tmp/second-runs ]; do sleep 0.05; done
"$binary" pause overnight --reason 'a look at the log' || true
"$binary" continue overnight || true
sleep 0.3
# Its wait never comes to the next line: the engine gets no chance to say goodbye.
kill -KILL $overnight; wait $overnight || true
rm -f /tmp/a-runs /tmp/stopped.yaml /tmp/second-runs /tmp/release.yaml /tmp/inner.yaml /tmp/outer.yaml /tmp/strict.yaml /tmp/breaking.yaml /tmp/spent.yaml /tmp/waiting.yaml /tmp/overnight.yaml

mkdir "$ANTIPHON_DIR/receipts"
for id in release outer outer.1 strict breaking spent stopped single; do
  "$binary" receipt export "$id" --output "$ANTIPHON_DIR/receipts/$id.json"
done
