/**
 * Packages whose config and manifest zarf v0.84.0 itself computed: escapes, annotation overrides, optional booleans, every
 * section of zarf.yaml, old scripts, a build date that does not parse.
 */
export interface Vector {
  definition: string
  files: Record<string, string>
  config: string
  configDigest: string
  manifestDigest: string
  manifestBytes: number
  /** Titles in manifest order. */
  layers: string[]
}

const V1_DEFINITION = `kind: ZarfPackageConfig
metadata:
  name: fx-one
  version: 0.0.1
  architecture: amd64
  aggregateChecksum: 01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b
build:
  architecture: amd64
  timestamp: Tue, 02 Jan 2024 03:04:05 -0500
  version: v0.84.0
components:
- name: noop
  required: true
`

const V2_CONFIG = String.raw`{"apiVersion":"zarf.dev/v1alpha1","kind":"ZarfPackageConfig","metadata":{"name":"fx-two","description":"a \u003cb\u003e \u0026 \"c\" – é","version":"2.0.0","url":"https://e.example/?a=1\u0026b=2","architecture":"arm64","authors":"A \u003ca@b.c\u003e","documentation":"https://d.example","source":"https://s.example","vendor":"V","aggregateChecksum":"63e7e2cff2274b7513906ba7d99283f479e0f5afddc5ddba88890ed2a56fb2a2","annotations":{"B.key":"upper","a.key":"lower","org.opencontainers.image.created":"1999-01-01T00:00:00Z","org.opencontainers.image.title":"overridden"},"allowNamespaceOverride":false},"build":{"terminal":"host","user":"me","architecture":"arm64","timestamp":"Tue, 02 Jan 2024 03:04:05 -0500","version":"v0.84.0","migrations":["scripts-to-actions","pluralize-set-variable"],"registryOverrides":{"docker.io":"mirror.example"},"flavor":"sour","signed":false,"versionRequirements":[{"version":"v0.65.0","reason":"r"}],"provenanceFiles":["checksums.txt"]},"components":[{"name":"c1","description":"first","default":true,"required":false,"only":{"localOS":"linux","cluster":{"architecture":"arm64","distros":["k3s"]}},"import":{},"manifests":[{"name":"m","namespace":"ns","files":["a.yaml"],"noWait":true,"template":false}],"charts":[{"name":"ch","version":"1.0.0","url":"https://charts.example","namespace":"ns","valuesFiles":["v.yaml"],"variables":[{"name":"X","description":"","path":"a.b"}],"values":[{"sourcePath":".a","targetPath":".b"}],"schemaValidation":false}],"files":[{"source":"f","shasum":"abc","target":"/t","executable":true,"symlinks":["/l"]}],"images":["ghcr.io/x/y:1"],"imageArchives":[{"path":"i.tar","images":["ghcr.io/x/z:2"]}],"repos":["https://git.example/r.git"],"scripts":{},"actions":{"onCreate":{"defaults":{"shell":{}}},"onDeploy":{"defaults":{"mute":true,"maxRetries":2,"env":["A=B"],"shell":{"linux":"bash"}},"before":[{"mute":false,"maxTotalSeconds":0,"cmd":"echo \u003chi\u003e \u0026\u0026 true","setVariables":[{"name":"V","sensitive":true}],"description":"d"}],"after":[{"wait":{"cluster":{"kind":"Pod","name":"p","namespace":"ns","condition":"Ready"}}},{"wait":{"network":{"protocol":"http","address":"localhost:8080","code":200}}}]},"onRemove":{"defaults":{"shell":{}}}},"healthChecks":[{"apiVersion":"apps/v1","kind":"Deployment","namespace":"ns","name":"n"}]},{"name":"c2","only":{"cluster":{}},"group":"g","import":{},"dataInjections":[{"source":"s","target":{"namespace":"ns","selector":"app=x","container":"c","path":"/p"},"compress":true}],"scripts":{},"actions":{"onCreate":{"defaults":{"shell":{}}},"onDeploy":{"defaults":{"shell":{}}},"onRemove":{"defaults":{"shell":{}}}}}],"constants":[{"name":"K","value":"v"}],"variables":[{"name":"VAR","sensitive":true,"type":"file","description":"vd","default":"dd","prompt":true}],"values":{"files":["vals.yaml"]},"documentation":{"readme":"README.md","zz":"Z.md"}}`

export const V1: Vector = {
  definition: V1_DEFINITION,
  files: {},
  config: String.raw`{"kind":"ZarfPackageConfig","metadata":{"name":"fx-one","version":"0.0.1","architecture":"amd64","aggregateChecksum":"01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"},"build":{"architecture":"amd64","timestamp":"Tue, 02 Jan 2024 03:04:05 -0500","version":"v0.84.0","migrations":["scripts-to-actions","pluralize-set-variable"]},"components":[{"name":"noop","required":true,"only":{"cluster":{}},"import":{},"scripts":{},"actions":{"onCreate":{"defaults":{"shell":{}}},"onDeploy":{"defaults":{"shell":{}}},"onRemove":{"defaults":{"shell":{}}}}}],"values":{}}`,
  configDigest: 'sha256:67ec0e7c88006eab96b78453e872936264774076ef8d1dc6798d8ff38f6e23c5',
  manifestDigest: 'sha256:1d3578f09f21cc2486f5d9f660d3ca390be72b9c1bd841ac1822502ec1ed41a3',
  manifestBytes: 814,
  layers: ['checksums.txt', 'zarf.yaml'],
}

export const V2: Vector = {
  // JSON is YAML; zarf.yaml holds the characters themselves that Go's encoder escapes.
  definition: `${V2_CONFIG.replaceAll('\\u003c', '<').replaceAll('\\u003e', '>').replaceAll('\\u0026', '&')}\n`,
  files: {
    'components/c1.tar': 'c1\n',
    'components/c2.tar': 'c2\n',
    'documentation.tar': 'doc\n',
    'values.yaml': 'a: 1\n',
    'sboms.tar': 'sbom\n',
    'images/index.json': '{}',
    'images/oci-layout': '{"imageLayoutVersion":"1.0.0"}',
  },
  config: V2_CONFIG,
  configDigest: 'sha256:498b39a2226d1bbfef8d173873c8e287fe2ae67e7131d82ceeab67fe7dc139d4',
  manifestDigest: 'sha256:a8c4c801ef26ba278cc72603f3df91a1bda6a8e9f7f548ed998b2f45184157a8',
  manifestBytes: 2635,
  layers: [
    'components/c2.tar',
    'images/oci-layout',
    'components/c1.tar',
    'documentation.tar',
    'values.yaml',
    'images/index.json',
    'checksums.txt',
    'sboms.tar',
    'zarf.yaml',
  ],
}

export const V3: Vector = {
  definition: `${String.raw`{"kind":"ZarfPackageConfig","metadata":{"name":"fx-three","version":"3.0.0","architecture":"amd64","aggregateChecksum":"6d27eb1dc2acb951dd0c8deae3f1bca0534d0499bc8856f6eb62a3d5006e683c"},"build":{"architecture":"amd64","timestamp":"not a date","version":"v0.20.0"},"components":[{"name":"old","scripts":{"showOutput":true,"retry":true,"timeoutSeconds":30,"before":["echo b"],"after":["echo a"]},"actions":{"onRemove":{"after":[{"cmd":"echo r","setVariable":"RV"}]}}}]}`}\n`,
  files: { 'components/old.tar': 'old\n' },
  config: String.raw`{"kind":"ZarfPackageConfig","metadata":{"name":"fx-three","version":"3.0.0","architecture":"amd64","aggregateChecksum":"6d27eb1dc2acb951dd0c8deae3f1bca0534d0499bc8856f6eb62a3d5006e683c"},"build":{"architecture":"amd64","timestamp":"not a date","version":"v0.20.0","migrations":["scripts-to-actions","pluralize-set-variable"]},"components":[{"name":"old","only":{"cluster":{}},"import":{},"scripts":{"showOutput":true,"timeoutSeconds":30,"retry":true,"before":["echo b"],"after":["echo a"]},"actions":{"onCreate":{"defaults":{"shell":{}}},"onDeploy":{"defaults":{"maxTotalSeconds":30,"maxRetries":10000,"shell":{}},"before":[{"cmd":"echo b"}],"after":[{"cmd":"echo a"}]},"onRemove":{"defaults":{"shell":{}},"after":[{"cmd":"echo r","setVariable":"RV","setVariables":[{"name":"RV"}]}]}}}],"values":{}}`,
  configDigest: 'sha256:5050a4b67f9c49f25d5c3f56d3853970b969a9ebab9fa68fada08328bc81250f',
  manifestDigest: 'sha256:bb9db5dd8a31e4f9edc9c214e94f70dec3ef4db121abc5cac14877a268afe1df',
  manifestBytes: 1030,
  layers: ['components/old.tar', 'zarf.yaml', 'checksums.txt'],
}
