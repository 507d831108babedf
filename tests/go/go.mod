module vmtrace/tests

go 1.19
