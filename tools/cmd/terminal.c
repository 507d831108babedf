#include "tools/cmd/terminal.h"

#include "tools/cmd/pager.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_COLUMNS 100u
#define LEAST_COLUMNS 20u
#define MOST_COLUMNS 400u

static size_t
find_columns(void)
{
	const char *text = getenv("COLUMNS");
	size_t columns = text ? strtoul(text, NULL, 10) : 0;
	struct winsize size;

	if (columns == 0)
		(void)vmt_pager_is_in_use(&columns);
	if (columns == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		columns = size.ws_col;
	if (columns == 0)
		columns = DEFAULT_COLUMNS;
	return columns < LEAST_COLUMNS	? LEAST_COLUMNS
	       : columns > MOST_COLUMNS ? MOST_COLUMNS
					: columns;
}

struct vmt_layout
vmt_terminal_layout(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");
	size_t columns;
	bool on_terminal = isatty(fileno(out)) || (out == stdout && vmt_pager_is_in_use(&columns));

	/* no-color.org: any value but the empty one */
	return (struct vmt_layout){
	    .out = out,
	    .columns = find_columns(),
	    .whole = !on_terminal,
	    .color = on_terminal && !(no_color && *no_color) && terminal &&
		     strcmp(terminal, "dumb") != 0,
	    .utf8 = setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
	};
}

struct vmt_layout
vmt_terminal_paged(FILE *out)
{
	if (out == stdout)
		vmt_pager_begin();
	return vmt_terminal_layout(out);
}
