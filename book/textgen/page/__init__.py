"""What a reader touches: `explore`, `guess`, `live`, `chat` and `label`, in Python for a notebook and in JavaScript for a page of the book."""
