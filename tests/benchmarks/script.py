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
    """The same requests as those of the plugin."""
    loads(get(f"/studies/{study}"))
    query = {"Query": {}, "ParentStudy": study, "Limit": 1000}
    order = [{"Type": "DicomTag", "Key": "SeriesInstanceUID", "Direction": "ASC"}]
    loads(post("/tools/find", json.dumps(
        {**query, "Level": "Series", "ResponseContent": ["MainDicomTags", "Children"], "OrderBy": order})))
    count = len(loads(post("/tools/find", json.dumps(
        {**query, "Level": "Instance", "ResponseContent": ["MainDicomTags", "Metadata", "Attachments", "Parent"]}))))
    get(f"/studies/{study}/metadata/LastUpdate")
    return count


def read(output, uri, **request):
    extended = loads(get("/system")).get("Capabilities", {}).get("HasExtendedFind", False)
    read_study = find if extended else walk if uri.endswith("/read") else walk_in_series
    answer = {}

    def work():
        start = time.perf_counter()
        answer["Instances"] = sum(map(read_study, loads(get("/studies"))))
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
