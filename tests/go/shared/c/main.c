#include <stdio.h>

int Grow(void);

int
main(void)
{
	printf("%d\n", Grow());
	return 0;
}
