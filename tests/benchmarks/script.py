"""The PythonScript of the benchmark: the plugin, and routes that do nothing but what cannot be avoided."""

import json
import threading
import time
from pathlib import Path

import orthanc

from orthanc_inventory.plugin import register

get, post, loads = orthanc.RestApiGet, orthanc.RestApiPost, json.loads


def walk(study):
    """All that a record needs, asked for instance by instance, each answer decoded, nothing made of it."""
    loads(get(f"/studies/{study}"))
    count = 0
    for series in loads(get(f"/studies/{study}/series")):
        for instance in loads(get(f"/series/{series['ID']}/instances")):
            loads(get(f"/instances/{instance['ID']}/metadata?expand"))
            get(f"/instances/{instance['ID']}/attachments/dicom/md5")
            count += 1
    get(f"/studies/{study}/metadata/LastUpdate")
    return count


def walk_in_series(study):
    """The same requests as those of the plugin, which asks for the instances of a series at once."""
    loads(get(f"/studies/{study}"))
    count = 0
    for series in loads(get(f"/studies/{study}/series")):
        query = {"Level": "Instance", "Resources": series["Instances"], "Metadata": True}
        for instance in loads(post("/tools/bulk-content", json.dumps(query))):
            get(f"/instances/{instance['ID']}/attachments/dicom/md5")
            count += 1
    get(f"/studies/{study}/metadata/LastUpdate")
    return count


def find(study):
    """All that a record needs, asked for study by study."""
    loads(get(f"/studies/{study}"))
    query = {"Query": {}, "ParentStudy": study, "Limit": 1000}
    order = [{"Type": "DicomTag", "Key": "SeriesInstanceUID", "Direction": "ASC"}]
    loads(post("/tools/find", json.dumps(
        {**query, "Level": "Series", "ResponseContent": ["MainDicomTags", "Children"], "OrderBy": order})))
    count = len(loads(post("/tools/find", json.dumps(
        {**query, "Level": "Instance", "ResponseContent": ["MainDicomTags", "Metadata", "Attachments", "Parent"]}))))
    get(f"/studies/{study}/metadata/LastUpdate")
    return count


def find_by_uids(studies):
    """The same requests as those of the plugin, which asks for several studies at once."""
    count = 0
    for since in range(0, len(studies), 500):
        page = ask("Study", STUDY, Query={}, Since=since)[:500]
        for group in parts(page, lambda study: 1, 16):
            series = ask_by_uid("Series", ["MainDicomTags", "Children", "Metadata", "Parent"], "StudyInstanceUID", group)
            for part in parts(series, lambda entry: len(entry["Instances"]), 1000):
                content = ["MainDicomTags", "Metadata", "Attachments", "Parent"]
                count += len(ask_by_uid("Instance", content, "SeriesInstanceUID", part))
            ask_by_uid("Study", STUDY, "StudyInstanceUID", group)
    return count


STUDY = ["MainDicomTags", "Children", "Metadata", "Parent", "Labels"]
NAMES = {
    "StudyInstanceUID": ("StudyInstanceUID", "0020000d", "0020-000d", "0020,000d"),
    "SeriesInstanceUID": ("SeriesInstanceUID", "0020000e", "0020-000e", "0020,000e"),
}


def ask(level, content, **query):
    return loads(post("/tools/find", json.dumps({"Level": level, "ResponseContent": content, "Limit": 1000, **query})))


def ask_by_uid(level, content, keyword, resources):
    uids = "\\".join(resource["MainDicomTags"][keyword] for resource in resources)
    return ask(level, content, Query=dict.fromkeys(NAMES[keyword], uids), CaseSensitive=True)


def parts(resources, weight, most):
    part = []
    for resource in resources:
        if part and (len(part) == 40 or sum(map(weight, part)) + weight(resource) > most):
            yield part
            part = []
        part.append(resource)
    if part:
        yield part


def each(read_study):
    return lambda studies: sum(map(read_study, studies))


def read(output, uri, **request):
    extended = loads(get("/system")).get("Capabilities", {}).get("HasExtendedFind", False)
    if uri.endswith("/read"):
        read_studies = each(find if extended else walk)
    else:
        read_studies = find_by_uids if extended else each(walk_in_series)
    answer = {}

    def work():
        start = time.perf_counter()
        answer["Instances"] = read_studies(loads(get("/studies")))
        answer["Seconds"] = time.perf_counter() - start

    # In a thread of Python, as the runs of the plugin: one of Orthanc is slower or faster by itself.
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    output.AnswerBuffer(json.dumps(answer), "application/json")


def ingest(output, uri, **request):
    contents = [path.read_bytes() for path in sorted(Path(loads(request["body"])).iterdir())]
    # All in a row: a part of the price of an object, the memory that Orthanc has freed, is paid in what follows it.
    start = time.perf_counter()
    for content in contents:
        post("/instances", content)
    seconds = time.perf_counter() - start
    output.AnswerBuffer(json.dumps({"Seconds": seconds}), "application/json")


register(orthanc)
orthanc.RegisterRestCallback("/benchmark/read", read)
orthanc.RegisterRestCallback("/benchmark/read-as-the-plugin", read)
orthanc.RegisterRestCallback("/benchmark/ingest", ingest)
