"""What a reader touches: `explore`, `live` and `label`, in Python for a notebook and in JavaScript for a page of the book."""
