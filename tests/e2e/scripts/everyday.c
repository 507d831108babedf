/* Prints the Fibonacci number that its last argument asks for. Ends with status 11. */
#include <stdio.h>
#include <stdlib.h>

static int
fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int
main(int count, char **arguments)
{
	int *p = calloc(100, sizeof(*p));

	p[7] = atoi(arguments[count - 1]);
	printf("%d\n", fib(p[7]));
	free(p);
	return 11;
}
