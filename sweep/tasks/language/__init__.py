"""Language models: texts and questions, their tokens, networks, and what is measured on answers."""
