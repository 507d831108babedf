/* A program that loads no library, and ends at once with status 42. */
#include <stdlib.h>

int
main(void)
{
	free(malloc(1));
	return 42;
}
