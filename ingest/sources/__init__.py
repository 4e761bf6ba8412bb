"""Where dose reports come from beside the inbox: DICOMweb, C-GET and the C-STORE receiver, kept below ``received/``.

Fetching and durable storage. The content of an object is read later, like any file, by ``ingest/raw/loader.py``.
"""
