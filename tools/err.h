/*
 * err.h: error messages, and the one type that carries them.
 *
 * Functions of tools return 0 or a negative errno and fill a struct vmt_err where they fail. Only
 * main.c prints it. A message is one line without a newline, names the file, and says what to do
 * where that is known.
 */
#ifndef VMT_ERR_H
#define VMT_ERR_H

struct vmt_err {
	char text[512];
};

/* Formats the message and returns -code (code > 0), so that callers can return vmt_err_set(...).
 * The first message set stays: a caller's later, vaguer one does not replace it. */
__attribute__((format(printf, 3, 4))) int vmt_err_set(struct vmt_err *err, int code,
						      const char *format, ...);

#endif
