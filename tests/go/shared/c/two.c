/* Lets the heaps of two Go runtimes grow, which two libraries bring. Ends when its input does. */
#include <stdio.h>

int Grow(void);
int GrowSecond(void);

int
main(void)
{
	printf("%d\n", Grow());
	printf("%d\n", GrowSecond());
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}
