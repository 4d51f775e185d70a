"""What there is to watch: titles, lists, what people have seen, and the artwork."""
