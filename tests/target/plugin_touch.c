/* A shared object that touches memory: touch_bare loads it, calls it and unloads it. */
#include <string.h>

void plugin_touch(char *memory, unsigned long bytes);

void
plugin_touch(char *memory, unsigned long bytes)
{
	volatile char room[200];

	room[0] = 1;
	memset(memory, 1, bytes);
	room[1] = room[0];
}
