"""The findings of compare.py as Markdown."""


def markdown(found):
    torch = found.get("torch") or {}
    driver = found.get("driver") or {}
    gpus = ", ".join("%s (%s)" % (each["name"], each["capability"]) for each in found["gpus"]) or "none"
    lines = [
        "# Trimmed beside untrimmed",
        "",
        "| | |",
        "|---|---|",
        "| GPU | %s |" % gpus,
        "| driver | %s, CUDA %s |" % (driver.get("version") or "none", driver.get("cuda") or "none"),
        "| torch | %s, CUDA %s, cuDNN %s |" % (torch.get("version"), torch.get("cuda"), found.get("cudnn")),
        "| trimmed for | %s |" % found.get("targets", "nothing"),
        "| computed on | %s |" % {"cuda": "the GPU", "cpu": "**the CPU alone**"}.get(found.get("device"), "**nothing**"),
        "| verdict | **%s** %s |" % (found["verdict"], found.get("reason", "")),
        "",
    ]
    return "\n".join(lines + runs(found) + sizes(found) + stand_in(found) + differences(found)) + "\n"


def runs(found):
    lines = [
        "| run | verdict | identical | close | different | import | context | first kernel | all | memory | GPU memory |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, run in found["runs"].items():
        compared = found.get("comparisons", {}).get(name)
        counts = [str(compared["identical"]), str(compared["close"]), str(len(compared["different"]))] if compared else ["", "", ""]
        times, memory = run.get("seconds", {}), run.get("memory", {})
        cells = [name, run["verdict"]] + counts
        cells += [seconds((run.get("torch") or {}).get("seconds")), seconds(times.get("context"))]
        cells += [seconds(times.get("first")), seconds(times.get("all"))]
        cells += [megabytes(memory.get("resident")), megabytes(memory.get("gpu"))]
        lines.append("| %s |" % " | ".join(cells))
    return lines + [""]


def sizes(found):
    lines = []
    for name, packages in found.get("trimmed", {}).items():
        before = sum(each["before"] for each in packages.values())
        after = sum(each["after"] for each in packages.values())
        really = found["runs"][name].get("really", {})
        lines.append(
            "%s: %s became %s; %d trimmed libraries were loaded%s."
            % (name, megabytes(before), megabytes(after), really.get("trimmed", 0), elsewhere(really))
        )
    return lines + [""] if lines else []


def elsewhere(really):
    paths = really.get("elsewhere", [])
    return ", but %s came from elsewhere" % ", ".join(paths) if paths else ""


def stand_in(found):
    asked = found.get("standIn")
    if not asked:
        return []
    lines = ["Stand-ins for fat binaries without code for this GPU: %s in the trimmed libraries. %s" % (asked["count"], asked["text"])]
    return lines + [""]


def differences(found):
    lines = []
    for name, compared in found.get("comparisons", {}).items():
        for each in compared["different"]:
            lines.append("- %s: %s %s: %s" % (name, each["name"], each["type"], each["note"]))
    for name, run in found["runs"].items():
        if run.get("reason"):
            lines.append("- %s: %s" % (name, run["reason"]))
    for each in found["runs"]["as it is"]["operations"]:
        if each["verdict"] == "fail":
            note = each.get("note") or "%s of %s" % (each["difference"], each["tolerance"])
            lines.append("- untrimmed too: %s %s: %s" % (each["name"], each["type"], note))
    return ["What went wrong, or did not run:", ""] + lines if lines else []


def seconds(value):
    return "" if value is None else "%.2f s" % value


def megabytes(value):
    return "" if not value else "%.0f MB" % (value / 1e6)
