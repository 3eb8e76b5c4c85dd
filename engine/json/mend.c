#include "base/utf8.h"
#include "json/json.h"

bool json_mend_utf8(struct span doc)
{
	unsigned char *p = (unsigned char *)(uintptr_t)doc.p;
	bool mended = false;
	for (size_t i = 0, n; i < doc.n; i += n) {
		n = utf8_at(p + i, doc.n - i);
		if (n > 0)
			continue;
		p[i] = '?';
		mended = true;
		n = 1;
	}
	return mended;
}
