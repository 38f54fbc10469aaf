"""pitchai as tools for an assistant, by the Model Context Protocol."""
