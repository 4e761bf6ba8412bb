"""The rim of the house: the nightly line as Dagster sees it, the publication, the letters, the command line.

Decides when and in which order; how a file is read, a dose computed or a table judged is said in the rooms below.
"""
