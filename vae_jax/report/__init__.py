"""What people are given: tables, arrays and exported models. Alone prints tables. Imports pictures and all below."""
