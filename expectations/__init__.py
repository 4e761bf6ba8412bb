"""Checks of the built tables, and the verdict on one build.

Tables and rules only, without the sources of the data, its computation or its readers.
"""

import os

# A hospital's network is closed: Great Expectations sends no usage statistics. It reads this while it is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
