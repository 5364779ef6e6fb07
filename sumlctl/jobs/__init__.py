"""How units of work are done: in processes here or on a cluster, each once, whatever is killed."""
