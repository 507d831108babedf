/*
 * factor.c: arithmetic that allocates every number
 *
 * Usage: factor NUMBER. Splits a product of two primes by Pollard's rho (Pollard 1975) with numbers
 * that live in blocks of their own: each step allocates its results and frees what it replaces, so
 * that there is little but malloc to measure. For cfrac of mimalloc-bench see bench/README.md.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A number in 16-bit digits, the lowest first. */
struct number {
	uint32_t digits;
	uint16_t digit[];
};

static struct number *
make(uint64_t value)
{
	uint32_t digits = 0;

	for (uint64_t rest = value; rest != 0; rest >>= 16)
		digits++;
	struct number *number = malloc(sizeof(*number) + digits * sizeof(number->digit[0]));

	if (number == NULL)
		exit(1);
	number->digits = digits;
	for (uint32_t i = 0; i < digits; i++)
		number->digit[i] = (uint16_t)(value >> 16 * i);
	return number;
}

static uint64_t
value_of(const struct number *number)
{
	uint64_t value = 0;

	for (uint32_t i = number->digits; i-- > 0;)
		value = value << 16 | number->digit[i];
	return value;
}

static struct number *
product_modulo(const struct number *a, const struct number *b, const struct number *modulus)
{
	unsigned __int128 product = (unsigned __int128)value_of(a) * value_of(b);

	return make((uint64_t)(product % value_of(modulus)));
}

static struct number *
sum_modulo(const struct number *a, const struct number *b, const struct number *modulus)
{
	unsigned __int128 sum = (unsigned __int128)value_of(a) + value_of(b);

	return make((uint64_t)(sum % value_of(modulus)));
}

static struct number *
distance(const struct number *a, const struct number *b)
{
	uint64_t left = value_of(a);
	uint64_t right = value_of(b);

	return make(left > right ? left - right : right - left);
}

/* Takes both. */
static struct number *
common_divisor(struct number *a, struct number *b)
{
	while (b->digits > 0) {
		struct number *rest = make(value_of(a) % value_of(b));

		free(a);
		a = b;
		b = rest;
	}
	free(b);
	return a;
}

/* x * x + 1; takes x. */
static struct number *
step(struct number *x, const struct number *modulus)
{
	struct number *one = make(1);
	struct number *square = product_modulo(x, x, modulus);
	struct number *next = sum_modulo(square, one, modulus);

	free(square);
	free(one);
	free(x);
	return next;
}

static uint64_t
divisor_of(uint64_t value)
{
	struct number *modulus = make(value);
	struct number *slow = make(2);
	struct number *fast = make(2);
	uint64_t found = 1;

	while (found == 1) {
		slow = step(slow, modulus);
		fast = step(step(fast, modulus), modulus);
		struct number *divisor = common_divisor(make(value), distance(slow, fast));

		found = value_of(divisor);
		free(divisor);
	}
	free(modulus);
	free(slow);
	free(fast);
	return found;
}

int
main(int argc, char **argv)
{
	uint64_t value = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;

	if (value < 4)
		return 2;
	printf("%llu\n", (unsigned long long)divisor_of(value));
	return 0;
}
