// Allocates through a template, an operator, a lambda, inlined functions and a virtual call, and
// says on which line of this file each frame of those stacks stands, innermost first.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define INLINE __attribute__((always_inline)) inline

// The line of a call, noted where it is made; calls stand alone on their lines.
#define HERE(place) ((place) = __LINE__)

namespace storage
{

int line_grab, line_plus, line_inner, line_outer, line_pass, line_fill, line_lambda, line_run,
    line_main;

template <typename T, int count> struct pool {
	T *slots;

	NOINLINE void
	grab()
	{
		HERE(line_grab), slots = static_cast<T *>(std::malloc(sizeof(T) * count));
		asm volatile("" ::"g"(slots) : "memory");
	}
};

struct sum {
	pool<long, 25000> room;

	NOINLINE sum &
	operator+=(int)
	{
		HERE(line_plus), room.grab();
		asm volatile("");
		return *this;
	}
};

INLINE void
inner(sum &total)
{
	HERE(line_inner), total += 1;
	asm volatile("");
}

INLINE void
outer(sum &total)
{
	HERE(line_outer), inner(total);
}

namespace
{

// Without linkage, and so without a mangled name in the debug information.
struct nest {
	INLINE void
	pass(sum &total) const
	{
		HERE(line_pass), outer(total);
		asm volatile("");
	}
};

} // namespace

struct base {
	virtual ~base() = default;
	virtual void fill(sum &total) const = 0;
};

struct derived final : base {
	NOINLINE void
	fill(sum &total) const override
	{
		HERE(line_fill), nest().pass(total);
		asm volatile("");
	}
};

NOINLINE void
run(const base &filler, sum &total)
{
	auto step = [&](const std::string &) NOINLINE {
		HERE(line_lambda), filler.fill(total);
		asm volatile("");
	};

	HERE(line_run), step("step");
	asm volatile("");
}

} // namespace storage

int
main()
{
	using namespace storage;

	static sum total;
	base *volatile filler = new derived;

	HERE(line_main), run(*filler, total);
	std::printf("[%d,%d,%d,%d,%d,%d,%d,%d,%d]\n", line_grab, line_plus, line_inner, line_outer,
		    line_pass, line_fill, line_lambda, line_run, line_main);
	return 0;
}
