/* A program that loads no library: says which signals are blocked, as the kernel shows it. */
#include <stdio.h>
#include <string.h>

int
main(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "SigBlk:", 7) == 0)
			fputs(line, stdout);
	return 0;
}
