"""What makes the built tables believable, and the verdict on one build.

Tables and rules only: nothing here knows where the data comes from, how it is computed or who reads it.
"""

import os

# A hospital's network is closed: Great Expectations sends no usage statistics. It reads this while it is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
