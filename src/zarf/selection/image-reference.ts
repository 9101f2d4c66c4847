const DOCKER_HUB = 'docker.io'

/** An image name as zarf compares them. */
export interface ImageReference {
  /** Host, path, tag and digest in full, such as docker.io/library/nginx:1.25. */
  readonly full: string
  /** What zarf wrote into its index before it put docker.io in front; undefined for other hosts. */
  readonly withoutDockerHub: string | undefined
}

/**
 * Spells an image name out in full. Source: distribution/reference `normalize.go` (ParseDockerRef's rules) and zarf v0.84
 * src/pkg/transform/image.go ParseImageRef.
 */
export function parseImageReference(text: string): ImageReference {
  const plain = text.replace(/^oci:\/\//, '')
  const slash = plain.indexOf('/')
  const first = slash === -1 ? '' : plain.slice(0, slash)
  const named = first !== '' && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)
  const host = named && first !== 'index.docker.io' ? first : DOCKER_HUB
  const rest = named ? plain.slice(slash + 1) : plain
  const path = host === DOCKER_HUB && !rest.includes('/') ? `library/${rest}` : rest
  const suffix = /[:@]/.test(path) ? '' : ':latest'
  return {
    full: `${host}/${path}${suffix}`,
    withoutDockerHub: host === DOCKER_HUB ? oldName(`${path}${suffix}`) : undefined,
  }
}

/** Of a tag and a digest, old versions kept the digest. */
function oldName(path: string): string {
  return path.includes('@') ? path.replace(/:[^:@/]+@/, '@') : path
}
