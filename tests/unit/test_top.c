/* What does `vmtrace top` show of readings, one after another? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/top/top_table.h"
#include "tools/top/top_text.h"

#define MIB (UINT64_C(1) << 20)
#define NS_PER_S INT64_C(1000000000)

static void
add(struct vmt_top_reading *reading, const char *name, uint64_t mib)
{
	size_t at = reading->counts[VMT_TOP_SITES]++;
	struct vmt_top_item *item;

	reading->items[VMT_TOP_SITES] =
	    realloc(reading->items[VMT_TOP_SITES], (at + 1) * sizeof(*item));
	item = &reading->items[VMT_TOP_SITES][at];
	*item = (struct vmt_top_item){.key = vmt_top_reading_key(0, name),
				      .committed_bytes = mib * MIB,
				      .reserved_bytes = 100 * MIB,
				      .kind = "mmap"};
	snprintf(item->name, sizeof(item->name), "%s", name);
}

static struct vmt_top_reading
reading_at(int64_t seconds, uint64_t rss_mib)
{
	struct vmt_top_reading reading = {.pid = 42,
					  .is_live = true,
					  .has_snapshot = true,
					  .has_sites = true,
					  .time_ns = seconds * NS_PER_S,
					  .rss_bytes = rss_mib * MIB,
					  .last_rss_bytes = rss_mib * MIB,
					  .peak_rss_bytes = rss_mib * MIB,
					  .limit_bytes = VMT_FIGURE_UNKNOWN};

	snprintf(reading.command, sizeof(reading.command), "service");
	snprintf(reading.state, sizeof(reading.state), "running");
	return reading;
}

static struct vmt_top_row
row_of(const struct vmt_top_table *table, const char *name)
{
	struct vmt_top_row found = {.item = NULL};
	size_t count;
	struct vmt_top_row *rows =
	    vmt_top_table_rows(table, VMT_TOP_SITES, VMT_TOP_BY_COMMITTED, NULL, &count);

	assert_non_null(rows);
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].item->name, name) == 0)
			found = rows[i];
	free(rows);
	assert_non_null(found.item);
	return found;
}

/* first 4, 10, 30 seconds. */
static void
take_three(struct vmt_top_table *table, size_t left_out)
{
	struct vmt_top_reading reading = reading_at(4, 20);

	add(&reading, "steady", 8);
	add(&reading, "grows", 2);
	reading.left_out[VMT_TOP_SITES] = left_out;
	vmt_top_table_take(table, &reading);
	reading = reading_at(10, 30);
	add(&reading, "grows", 12);
	add(&reading, "steady", 8);
	add(&reading, "new", 1);
	vmt_top_table_take(table, &reading);
	reading = reading_at(30, 50);
	add(&reading, "grows", 32);
	add(&reading, "steady", 6);
	add(&reading, "new", 3);
	vmt_top_table_take(table, &reading);
}

static void
growth_and_rate(void **state)
{
	struct vmt_top_table table = {.readings = 0};
	struct vmt_top_reading again = reading_at(30, 50);
	int64_t growth, over, rate;

	(void)state;
	take_three(&table, 0);
	assert_int_equal(row_of(&table, "grows").growth_bytes, 30 * MIB);
	assert_int_equal(row_of(&table, "grows").rate_bytes, MIB); /* 20 MiB in 20 s */
	assert_int_equal(row_of(&table, "steady").growth_bytes, -(int64_t)(2 * MIB));
	assert_true(row_of(&table, "new").growth_known);
	assert_int_equal(row_of(&table, "new").growth_bytes, 3 * MIB);
	assert_true(vmt_top_table_growth(&table, &growth, &over));
	assert_int_equal(growth, 30 * MIB);
	assert_int_equal(over, 26 * NS_PER_S);
	assert_true(vmt_top_table_rate(&table, &rate));
	assert_int_equal(rate, MIB);

	/* Another reading of the same snapshot changes no rate. */
	add(&again, "grows", 32);
	vmt_top_table_take(&table, &again);
	assert_int_equal(row_of(&table, "grows").rate_bytes, MIB);
	vmt_top_table_free(&table);
}

/* A row that a cut reading lacks may have been there. */
static void
what_is_not_known(void **state)
{
	struct vmt_top_table table = {.readings = 0};

	(void)state;
	take_three(&table, 5);
	assert_false(row_of(&table, "new").growth_known);
	assert_true(row_of(&table, "new").rate_known);
	assert_true(row_of(&table, "grows").growth_known);
	vmt_top_table_free(&table);
}

static void
order_and_filter(void **state)
{
	static const char *const first[] = {"grows", "grows", "grows", "grows"};
	struct vmt_top_table table = {.readings = 0};
	struct vmt_top_row *rows;
	size_t count;

	(void)state;
	take_three(&table, 0);
	for (int order = 0; order < VMT_TOP_ORDERS; order++) {
		rows = vmt_top_table_rows(&table, VMT_TOP_SITES, (enum vmt_top_order)order, NULL,
					  &count);
		assert_int_equal(count, 3);
		assert_string_equal(rows[0].item->name, first[order]);
		free(rows);
	}
	rows = vmt_top_table_rows(&table, VMT_TOP_SITES, VMT_TOP_BY_GROWTH, NULL, &count);
	assert_string_equal(rows[1].item->name, "new");
	assert_string_equal(rows[2].item->name, "steady");
	free(rows);
	rows = vmt_top_table_rows(&table, VMT_TOP_SITES, VMT_TOP_BY_COMMITTED, "STEA", &count);
	assert_int_equal(count, 1);
	assert_string_equal(rows[0].item->name, "steady");
	free(rows);
	vmt_top_table_free(&table);
}

struct lines {
	char text[8192];
	size_t count;
	size_t widest;
};

static void
put(void *context, enum vmt_layout_style style, const char *text)
{
	struct lines *lines = context;
	size_t used = strlen(lines->text);

	(void)style;
	snprintf(lines->text + used, sizeof(lines->text) - used, "%s\n", text);
	if (strlen(text) > lines->widest)
		lines->widest = strlen(text);
	lines->count++;
}

/* Any size; nothing that a terminal might obey; ASCII alone without UTF-8. */
static void
lines_fit(void **state)
{
	struct vmt_top_table table = {.readings = 0};
	struct vmt_top_reading reading = reading_at(4, 20);

	(void)state;
	add(&reading, "\033[2Jevil\n\xff\xc3\xa9", 8);
	snprintf(reading.command, sizeof(reading.command), "a\033]0;x\007b\xe2\x82\xac");
	snprintf(reading.note, sizeof(reading.note), "12 events were lost.");
	vmt_top_table_take(&table, &reading);
	for (size_t columns = 1; columns < 300; columns += columns < 20 ? 1 : 40) {
		for (size_t height = 1; height < 7; height++) {
			struct vmt_top_look look = {.view = VMT_TOP_SITES, .height = height};
			struct vmt_layout layout = {.columns = columns};
			struct lines lines = {.count = 0};

			assert_int_equal(vmt_top_text_write(&table, &look, &layout, put, &lines),
					 1);
			assert_true(lines.count <= height);
			assert_true(lines.widest <= columns);
			for (const char *at = lines.text; *at; at++)
				assert_true(*at == '\n' || (*at >= ' ' && *at < 0x7f));
		}
	}
	vmt_top_table_free(&table);
}

static void
a_reading_as_bytes(void **state)
{
	struct vmt_top_reading reading = reading_at(4, 20);
	struct vmt_top_reading back;
	char *bytes = NULL;
	size_t length;
	FILE *out = open_memstream(&bytes, &length);

	(void)state;
	add(&reading, "one", 1);
	add(&reading, "two", 2);
	assert_int_equal(vmt_top_reading_write(&reading, out), 0);
	fclose(out);
	assert_int_equal(vmt_top_reading_read(&back, bytes, length), 0);
	assert_int_equal(back.counts[VMT_TOP_SITES], 2);
	assert_string_equal(back.items[VMT_TOP_SITES][1].name, "two");
	assert_int_equal(back.rss_bytes, 20 * MIB);
	vmt_top_reading_free(&back);
	for (size_t cut = 0; cut < length; cut += 17) {
		assert_int_equal(vmt_top_reading_read(&back, bytes, cut), -EBADMSG);
		vmt_top_reading_free(&back);
	}
	free(bytes);
	vmt_top_reading_free(&reading);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(growth_and_rate),	  cmocka_unit_test(what_is_not_known),
	    cmocka_unit_test(order_and_filter),	  cmocka_unit_test(lines_fit),
	    cmocka_unit_test(a_reading_as_bytes),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
