#!/usr/bin/env python3
"""What packaging/ says to container engines, Kubernetes and ansible: well-formed, of known fields, consistent.

Not a cluster's own validation: a schema of the fields that are used here, so that a slip in one
(readOnlyRootFilesytem) does not go unseen, and the ties between the files: names, paths, users, settings
that flowline itself checks. Skipped where there is no PyYAML.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("SKIP: no PyYAML (package python3-yaml)")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(77)

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PACKAGING = os.path.join(TOP, "packaging")
FLOWLINE = os.environ.get("FLOWLINE", "")
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(what, bad):
    """bad: what is wrong, as texts."""
    bad = [bad] if isinstance(bad, str) else list(bad)
    counts["failed" if bad else "passed"] += 1
    print(("FAIL " if bad else "ok   ") + what)
    for b in bad:
        print("     " + b)


def skip(what, why):
    counts["skipped"] += 1
    print("SKIP: %s: %s" % (what, why))


class Strict(yaml.SafeLoader):
    """A key given twice is a mistake."""


def no_twice(loader, node, deep=False):
    seen = set()
    for k, _ in node.value:
        key = loader.construct_object(k, deep=True)
        if key in seen:
            raise yaml.YAMLError("line %d: %r is given twice" % (k.start_mark.line + 1, key))
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, no_twice)


def text(*path):
    with open(os.path.join(PACKAGING, *path), encoding="utf-8") as f:
        return f.read()


def load(*path):
    return [d for d in yaml.load_all(text(*path), Loader=Strict) if d is not None]


# ---- Kubernetes: the fields used. A type, a function that says what is wrong, a list of one (each), a map.

def fits(pattern, what):
    return lambda v: None if isinstance(v, str) and re.fullmatch(pattern, v) else "%r is not %s" % (v, what)


def among(*values):
    return lambda v: None if v in values else "%r is none of %s" % (v, ", ".join(map(repr, values)))


def between(low, high):
    ok = lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high
    return lambda v: None if ok(v) else "%r is not a number from %d to %d" % (v, low, high)


NAME = fits(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "a name (lower case, digits, -)")
QUANTITY = fits(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?", "a quantity")
PATH = fits(r"/[^:]*", "an absolute path")
CAPABILITY = fits(r"[A-Z][A-Z_]+", "a capability without CAP_")
MAP = {"*": str}
META = {"name": NAME, "namespace": NAME, "labels": MAP, "annotations": MAP}
PROBE = {"exec": {"command": [str]}, "periodSeconds": between(1, 3600), "timeoutSeconds": between(1, 600),
         "failureThreshold": between(1, 100), "initialDelaySeconds": between(0, 3600)}
CONTAINER = {
    "name": NAME, "image": fits(r"[a-z0-9./:@_-]+:[A-Za-z0-9._-]+", "an image with a tag"),
    "imagePullPolicy": among("IfNotPresent", "Always", "Never"), "command": [str], "args": [str],
    "env": [{"name": fits(r"[A-Z_][A-Z0-9_]*", "a variable"), "value": str,
             "valueFrom": {"fieldRef": {"fieldPath": among("spec.nodeName", "status.hostIP", "metadata.name")}}}],
    "securityContext": {"runAsUser": between(0, 65535), "runAsGroup": between(0, 65535), "runAsNonRoot": bool,
                        "privileged": bool, "allowPrivilegeEscalation": bool, "readOnlyRootFilesystem": bool,
                        "capabilities": {"drop": [CAPABILITY], "add": [CAPABILITY]}},
    "resources": {"requests": {"cpu": QUANTITY, "memory": QUANTITY}, "limits": {"cpu": QUANTITY, "memory": QUANTITY}},
    "startupProbe": PROBE, "livenessProbe": PROBE, "readinessProbe": PROBE,
    "volumeMounts": [{"name": NAME, "mountPath": PATH, "readOnly": bool}],
}
POD = {
    "hostNetwork": bool, "hostPID": bool, "dnsPolicy": among("ClusterFirstWithHostNet", "Default"),
    "automountServiceAccountToken": bool, "enableServiceLinks": bool, "priorityClassName": NAME,
    "terminationGracePeriodSeconds": between(0, 600), "nodeSelector": MAP,
    "tolerations": [{"operator": among("Exists", "Equal"), "key": str, "value": str, "effect": str}],
    "securityContext": {"seccompProfile": {"type": among("RuntimeDefault", "Localhost")}},
    "containers": [CONTAINER],
    "volumes": [{"name": NAME, "configMap": {"name": NAME, "optional": bool},
                 "secret": {"secretName": NAME, "optional": bool, "defaultMode": between(0, 0o777)},
                 "hostPath": {"path": PATH, "type": among("DirectoryOrCreate", "Directory")},
                 "emptyDir": {"medium": among("Memory", ""), "sizeLimit": QUANTITY}}],
}
KINDS = {
    ("v1", "Namespace"): {},
    ("v1", "ConfigMap"): {"data": MAP},
    ("v1", "Secret"): {"type": among("Opaque"), "stringData": MAP, "data": MAP},
    ("apps/v1", "DaemonSet"): {"spec": {
        "selector": {"matchLabels": MAP},
        "updateStrategy": {"type": among("OnDelete", "RollingUpdate"),
                           "rollingUpdate": {"maxUnavailable": lambda v: None}},
        "template": {"metadata": META, "spec": POD}}},
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"): {"resources": [str]},
}


def wrong(value, schema, where):
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return ["%s: not a map" % where]
        bad = []
        for k, v in value.items():
            s = schema.get(k, schema.get("*"))
            bad += ["%s: unknown field %r" % (where, k)] if s is None else wrong(v, s, "%s.%s" % (where, k))
        return bad
    if isinstance(schema, list):
        if not isinstance(value, list):
            return ["%s: not a list" % where]
        return [b for i, v in enumerate(value) for b in wrong(v, schema[0], "%s[%d]" % (where, i))]
    if isinstance(schema, type):
        return [] if isinstance(value, schema) else ["%s: %r is not %s" % (where, value, schema.__name__)]
    said = schema(value)
    return ["%s: %s" % (where, said)] if said else []


def flowline_checks(config, environment=None):
    """What `flowline check-config` says of a configuration; None: it cannot be asked."""
    if not FLOWLINE or not os.access(FLOWLINE, os.X_OK):
        return None
    with tempfile.TemporaryDirectory() as d:
        secret = os.path.join(d, "token")
        with open(secret, "w") as f:
            f.write("x\n")
        path = os.path.join(d, "flowline.yaml")
        with open(path, "w") as f:
            f.write(re.sub(r"(_file: *)/\S+", r"\g<1>" + secret, config))
        env = {k: v for k, v in os.environ.items() if not k.startswith("FLOWLINE")}
        env.update(environment or {})
        p = subprocess.run([FLOWLINE, "check-config", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
        return [] if p.returncode == 0 else p.stdout.decode().splitlines() or ["exit status %d" % p.returncode]


def kubernetes():
    folder = "kubernetes"
    files = sorted(f for f in os.listdir(os.path.join(PACKAGING, folder)) if f.endswith(".yaml"))
    docs = {}
    for f in files:
        bad = []
        try:
            for d in load(folder, f):
                kind = (d.get("apiVersion"), d.get("kind"))
                docs[d.get("kind")] = d
                schema = KINDS.get(kind)
                if schema is None:
                    bad.append("unknown kind %s %s" % kind)
                    continue
                schema = dict(schema, apiVersion=str, kind=str, metadata=META)
                bad += wrong(d, schema, d["kind"])
                if d["kind"] not in ("Namespace", "Kustomization") and d["metadata"].get("namespace") != "flowline":
                    bad.append("%s: not in the namespace flowline" % d["kind"])
        except yaml.YAMLError as e:
            bad.append(str(e).replace("\n", " "))
        check("%s/%s: fields and values" % (folder, f), bad)
    daemonset_ties(docs)
    listed = docs["Kustomization"]["resources"]
    check("kustomization: its resources are there, and no secret",
          [r for r in listed if r not in files or "secret" in r])
    for doc, sort in ((docs["ConfigMap"], "data"),):
        said = flowline_checks(doc[sort]["flowline.yaml"])
        if said is None:
            skip("the ConfigMap's configuration", "no flowline to check it with")
        else:
            check("the ConfigMap's configuration is valid", said)


def daemonset_ties(docs):
    spec = docs["DaemonSet"]["spec"]
    pod = spec["template"]["spec"]
    c = pod["containers"][0]
    security = c["securityContext"]
    labels = spec["template"]["metadata"]["labels"]
    check("selector: the template's labels have it",
          ["%s" % k for k, v in spec["selector"]["matchLabels"].items() if labels.get(k) != v])
    check("least privilege", [what for what, good in (
        ("privileged", security["privileged"] is False),
        ("allowPrivilegeEscalation", security["allowPrivilegeEscalation"] is False),
        ("readOnlyRootFilesystem", security["readOnlyRootFilesystem"] is True),
        ("capabilities.drop is not [ALL]", security["capabilities"]["drop"] == ["ALL"]),
        ("capabilities.add", sorted(security["capabilities"]["add"]) == ["DAC_READ_SEARCH", "NET_RAW", "SYS_PTRACE"]),
        ("runAsUser is not said", "runAsUser" in security),
        ("seccompProfile", pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"),
        ("automountServiceAccountToken", pod["automountServiceAccountToken"] is False)) if not good])
    check("user 0 or an escalation: capabilities reach the program",
          [] if security["runAsUser"] == 0 or security["allowPrivilegeEscalation"] else
          "another user gets no capabilities while allowPrivilegeEscalation is false")
    volumes = {v["name"]: v for v in pod["volumes"]}
    check("each mount has its volume, each volume is mounted",
          set(volumes) ^ {m["name"] for m in c["volumeMounts"]})
    check("the volumes' ConfigMap and Secret are those here", [
        n for n, want in ((volumes["config"]["configMap"]["name"], docs["ConfigMap"]),
                          (volumes["secret"]["secret"]["secretName"], docs["Secret"])) if want["metadata"]["name"] != n])
    spool = [m["mountPath"] for m in c["volumeMounts"] if "hostPath" in volumes[m["name"]]]
    config = docs["ConfigMap"]["data"]["flowline.yaml"]
    directory = yaml.safe_load(config)["spool"]["directory"]
    check("the spool is on the node's disk", [] if any(directory.startswith(p + "/") for p in spool) else directory)
    mounts = [m["mountPath"] for m in c["volumeMounts"]]
    check("what flowline writes to and reads is mounted", [
        p for p in re.findall(r"_file: *(/\S+)", config) + ["/run/flowline/status.sock", "/etc/flowline/flowline.yaml"]
        if not any(p.startswith(m + "/") for m in mounts)])
    check("probes: less time than their period, and a program that the image has", [
        "%s" % p for p in ("startupProbe", "livenessProbe", "readinessProbe")
        if c[p]["exec"]["command"][0] != "/usr/libexec/flowline/healthy" or
        (p == "livenessProbe" and "--well" in c[p]["exec"]["command"])])
    env = {e["name"]: e.get("value", "node1") for e in c["env"]}
    said = flowline_checks("interval: 60s\n", env)
    if said is None:
        skip("the DaemonSet's environment", "no flowline to check it with")
    else:
        check("the DaemonSet's environment is valid", said)
    version = re.search(r"AC_INIT\(\[flowline\], \[([^]]*)\]", open(os.path.join(TOP, "configure.ac")).read()).group(1)
    check("the image's tag is this version", [] if c["image"] == "flowline:" + version else
          "%s, but configure.ac says %s: tools/release changes both" % (c["image"], version))


def container():
    docker = text("container", "Dockerfile")
    joined = re.sub(r"\\\n", " ", docker)
    lines = [l for l in joined.splitlines() if l.strip() and not l.startswith("#")]
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "VOLUME", "HEALTHCHECK", "STOPSIGNAL",
             "ENTRYPOINT", "CMD"}
    check("Dockerfile: known instructions", [l for l in lines if l.split()[0] not in known])
    bad = []
    stages = []
    for l in lines:
        word = l.split()
        if word[0] == "FROM":
            if word[1] != "${BASE}":
                bad.append("%s: the base comes from ARG BASE" % l)
            stages += [word[3]] if len(word) > 3 else []
        if word[0] == "COPY":
            source = [w for w in word[1:] if not w.startswith("--")][:-1]
            staged = [w for w in word if w.startswith("--from=")]
            if staged and staged[0][7:] not in stages:
                bad.append("%s: no such stage" % l)
            if not staged:
                bad += ["%s: %s is not there" % (l, s) for s in source if not os.path.exists(os.path.join(TOP, s))]
        if word[0] == "RUN" and ("apt-get" in l or "sudo" in l):
            bad.append("%s: that is build.sh's" % l)
    base = re.search(r"^ARG BASE=(\S+)$", docker, re.M)
    if not base or ":" not in base.group(1) or base.group(1).endswith(":latest"):
        bad.append("ARG BASE: want an image with a tag that is not latest")
    for w in ("ENTRYPOINT", "CMD"):
        if not re.search(r'^%s \["' % w, docker, re.M):
            bad.append("%s: want the exec form, else signals do not arrive" % w)
    user = re.findall(r"^USER (\S+)$", docker, re.M)
    uid = re.search(r"^uid=(\d+)$", text("container", "build.sh"), re.M).group(1)
    if user != ["%s:%s" % (uid, uid)]:
        bad.append("USER %s: build.sh makes user %s" % (user, uid))
    for f in re.findall(r"/usr/libexec/flowline/([a-z]+(?:\.sh)?)", docker):
        if not os.access(os.path.join(PACKAGING, "container", f), os.X_OK):
            bad.append("packaging/container/%s is not there, or not executable" % f)
    check("Dockerfile: stages, sources, user, entry point, health check", bad)


def ansible():
    top = os.path.join(PACKAGING, "ansible")
    tasks, handlers, bad = [], set(), []
    for folder, _, names in sorted(os.walk(top)):
        for n in sorted(names):
            if not n.endswith(".yaml"):
                continue
            path = os.path.relpath(os.path.join(folder, n), PACKAGING)
            try:
                docs = load(path)
            except yaml.YAMLError as e:
                bad.append("%s: %s" % (path, str(e).replace("\n", " ")))
                continue
            if "/tasks/" in path:
                tasks += [(path, t) for t in docs[0]]
            elif "/handlers/" in path:
                handlers |= {t["name"] for t in docs[0]}
    check("ansible: every file is well-formed", bad)
    bad = ["%s: a task without a name" % p for p, t in tasks if "name" not in t]
    bad += ["%s: %s: notifies %r, which is no handler" % (p, t["name"], t["notify"])
            for p, t in tasks if "notify" in t and t["notify"] not in handlers]
    for p, t in tasks:
        f = t.get("ansible.builtin.include_tasks")
        if f and not os.path.exists(os.path.join(PACKAGING, os.path.dirname(p), f)):
            bad.append("%s: %s is not there" % (p, f))
    check("ansible: names, handlers, included files", bad)
    said = "".join(text(p) for p in {p for p, _ in tasks}) + text("ansible", "roles", "flowline", "templates", "flowline.yaml.j2")
    defaults = load("ansible", "roles", "flowline", "defaults", "main.yaml")[0]
    made = set(defaults) | {"flowline_has_service", "flowline_answer"}
    check("ansible: every variable has a default", sorted(set(re.findall(r"\bflowline_[a-z_]+\b", said)) - made))
    check("ansible: every default is used, and told in README.md",
          [v for v in defaults if v not in said + str(defaults) or v not in text("ansible", "README.md")])
    playbook = shutil.which("ansible-playbook")
    if not playbook:
        skip("ansible-playbook --syntax-check", "not installed (package ansible-core)")
        return
    env = dict(os.environ, ANSIBLE_LOCAL_TEMP=tempfile.gettempdir(), ANSIBLE_NOCOLOR="1", LC_ALL="C.UTF-8")
    p = subprocess.run([playbook, "-i", os.path.join(top, "inventory.example.yaml"), "--syntax-check",
                        os.path.join(top, "rollout.yaml")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    check("ansible-playbook --syntax-check", p.stdout.decode().splitlines() if p.returncode else [])


kubernetes()
container()
ansible()
print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
sys.exit(1 if counts["failed"] else 0)
