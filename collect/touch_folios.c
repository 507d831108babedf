#include "collect/touch_folios.h"

#include "base/sys.h"
#include "base/text.h"
#include "format/touch.h"

/* Of two pages, up to half a huge page, of 4 KiB and of 64 KiB. */
#define LEAST_SHIFT 13u
#define MOST_SHIFT VMT_TOUCH_FOLIO_MAX_SHIFT

enum setting { NEVER, ADVISED, ALWAYS, INHERIT };

/* The word in brackets: "always inherit [madvise] never". */
static enum setting
setting_in(const char *path)
{
	char bytes[64];
	struct vmt_text text;
	struct vmt_text word;
	int fd = vmt_sys_open(path, O_RDONLY, 0);
	long got;

	if (fd < 0)
		return NEVER;
	got = vmt_sys_read(fd, bytes, sizeof(bytes));
	vmt_sys_close(fd);
	text = vmt_text_of(bytes, got > 0 ? (size_t)got : 0);
	if (!vmt_text_take_until(&text, '[', &word) || !vmt_text_take_until(&text, ']', &word))
		return NEVER;
	if (vmt_text_equals(&word, "always"))
		return ALWAYS;
	if (vmt_text_equals(&word, "inherit"))
		return INHERIT;
	return vmt_text_equals(&word, "madvise") ? ADVISED : NEVER;
}

static enum setting
setting_of(const char *directory, const char *size_kib)
{
	char path[256];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, directory);
	vmt_text_put(&out, size_kib);
	vmt_text_put(&out, "/enabled");
	return out.overflow ? NEVER : setting_in(path);
}

struct vmt_touch_folios
vmt_touch_folios_read(const char *directory)
{
	enum setting all = setting_of(directory, "");
	struct vmt_touch_folios folios = {0};

	for (uint32_t shift = LEAST_SHIFT; shift <= MOST_SHIFT; shift++) {
		char name[40];
		struct vmt_text_out out = vmt_text_out_begin(name, sizeof(name));
		enum setting own;

		vmt_text_put(&out, "/hugepages-");
		vmt_text_put_decimal(&out, UINT64_C(1) << (shift - 10));
		vmt_text_put(&out, "kB");
		own = setting_of(directory, name);
		if (own == INHERIT)
			own = all;
		folios.always |= own == ALWAYS ? UINT32_C(1) << shift : 0;
		folios.advised |= own == ADVISED ? UINT32_C(1) << shift : 0;
	}
	return folios;
}
