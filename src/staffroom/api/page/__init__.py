"""How the page is rendered: texts, templates, and values as its views show them."""
