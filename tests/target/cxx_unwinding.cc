// Allocates while exceptions unwind: in destructors on the way, in catch clauses, in functions that
// are called from there at the same depth as what was thrown away. Ends with the number of catches.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#define NOINLINE __attribute__((noinline, noclone))

static volatile unsigned sink;

NOINLINE static void
allocate(unsigned bytes)
{
	void *volatile block = std::malloc(bytes);

	sink = sink + (block != nullptr);
	std::free(block);
}

struct guard {
	unsigned bytes;

	~guard()
	{
		allocate(bytes);
	}
};

NOINLINE static void
sink_down(unsigned depth)
{
	guard on_the_way{depth + 1};

	allocate(100 + depth);
	if (depth == 0)
		throw std::runtime_error(std::string(40 + sink % 7, 'x'));
	sink_down(depth - 1);
	sink = sink + 1;
}

NOINLINE static unsigned
caught_below(unsigned depth, unsigned catches)
{
	try {
		sink_down(depth);
	} catch (const std::runtime_error &error) {
		allocate(200 + depth);
		if (catches % 3 == 0) {
			try {
				sink_down(depth / 2);
			} catch (...) {
				allocate(300);
			}
		}
		return catches + 1;
	}
	return catches;
}

int
main()
{
	unsigned catches = 0;

	for (unsigned turn = 0; turn < 2000; turn++)
		catches = caught_below(turn % 37, catches);
	std::printf("%u\n", catches);
	return catches == 2000 ? 0 : 1;
}
