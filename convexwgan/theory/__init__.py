"""Why a pair is tractable: forms are nodes, theorems are edges, one file a theorem."""
