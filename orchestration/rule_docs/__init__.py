"""The generated pages of docs/rules/."""
