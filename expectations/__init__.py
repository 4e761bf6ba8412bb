"""What makes the built tables believable, and the verdict on one build.

Tables and rules only: nothing here knows where the data comes from, how it is computed or who reads it.
"""
