"""What people look at: pictures, tables, a page. Every function takes a finished Solution and computes nothing new."""
