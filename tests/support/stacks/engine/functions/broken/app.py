"""Cannot be loaded."""

print("about to fail")
raise RuntimeError("no configuration")
