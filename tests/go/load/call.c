#include <stdint.h>

uint64_t backInGo(uint64_t number);
uint64_t callGo(uint64_t number);

uint64_t
callGo(uint64_t number)
{
	return backInGo(number);
}
