/* Lets the heaps of two Go runtimes grow, which two libraries bring. */
#include <stdio.h>

int Grow(void);
int GrowSecond(void);

int
main(void)
{
	printf("%d\n", Grow());
	printf("%d\n", GrowSecond());
	return 0;
}
