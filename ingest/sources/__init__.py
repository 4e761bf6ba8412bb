"""Where dose reports come from beside the inbox: DICOMweb, C-GET and the C-STORE receiver, kept below ``received/``.

Here are fetching and durable keeping. What an object says is read later, like any file, by ``ingest/raw/loader.py``.
"""
