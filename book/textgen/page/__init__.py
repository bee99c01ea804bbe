"""What a reader touches: `explore` and `live`, in Python for a notebook and in JavaScript for a page of the book."""
