"""The triggers that Windlass brings. They only watch, so it does no harm to run one twice."""
