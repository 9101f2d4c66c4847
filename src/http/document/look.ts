/** The layers of a package, one on the other; as in src/ui/mark.svg. */
const LAYERS =
  '<path d="M16 4 29 10.500 16 17 3 10.500z"/><path d="M6 14.500 16 19.500l10-5 3 1.500L16 22.500 3 16z" opacity=".7"/><path d="M6 20 16 25l10-5 3 1.500L16 28 3 21.500z" opacity=".4"/>'
const NAME = '<text x="38" y="22" font-size="18" font-weight="700" font-family="system-ui,sans-serif">layerd</text>'
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"'
const MARK = `${SVG} viewBox="0 0 120 32" height="32" fill="#fff">${LAYERS}${NAME}</svg>`
const ICON = `${SVG} viewBox="0 0 32 32" fill="#0f6b64">${LAYERS}</svg>`

/** The dashboard's colours. */
const CSS = `.swagger-ui .topbar { background-color: #0f6b64; }
.swagger-ui .info .title, .swagger-ui .opblock-tag { color: #14212a; }
.swagger-ui .btn.authorize { border-color: #0f6b64; color: #0f6b64; }
.swagger-ui .btn.authorize svg { fill: #0f6b64; }
`

/** What the page of the interface carries: layerd's name and mark. */
export const DOCS_LOOK = {
  logo: { type: 'image/svg+xml', content: Buffer.from(MARK), href: '/', target: '_self' },
  theme: {
    title: 'layerd: the interface',
    css: [{ filename: 'layerd.css', content: CSS }],
    favicon: [{ filename: 'layerd.svg', rel: 'icon', sizes: 'any', type: 'image/svg+xml', content: Buffer.from(ICON) }],
  },
} as const
