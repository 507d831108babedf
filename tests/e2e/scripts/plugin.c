/* What loads.c loads: blocks that it gets and gives back by itself. */
#include <stdlib.h>
#include <string.h>

int use(int n);

int
use(int n)
{
	int sum = 0;

	for (int i = 1; i < n; i++) {
		char *p = strdup("seven..");

		p = realloc(p, 100 * i);
		sum += (int)strlen(p);
		free(p);
	}
	return sum;
}
