import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { JobRequest } from './contract.ts'
import { type CommandContext, UsageError } from './context.ts'

/** What a signature is to be held against, as the command line has it. */
export interface VerifyChoices {
  verify?: 'never' | 'if-possible' | 'always'
  /** A file. */
  key?: string
  /** A key that the daemon keeps. */
  keyRef?: string
  identity?: string
  issuer?: string
  pattern?: boolean
  trustedRoot?: string
}

export type VerifyOption = Pick<NonNullable<Extract<JobRequest, { kind: 'verify' }>['options']>, 'verify'>

/** An RSA key has under 2 KiB; the daemon takes no more than this. */
const MAX_KEY_BYTES = 8192

/** `options.verify` of a job; nothing where nothing was chosen. Throws UsageError. */
export async function verifyOption(context: CommandContext, choices: VerifyChoices): Promise<VerifyOption> {
  const { verify: mode, key, keyRef, trustedRoot } = choices
  checkTogether(choices)
  const who = identityOf(choices)
  if (mode === undefined && key === undefined && keyRef === undefined && who === undefined) return {}
  return {
    verify: {
      ...(mode === undefined ? {} : { mode }),
      ...(key === undefined ? {} : { key: await readKey(resolve(context.terminal.cwd, key)) }),
      ...(keyRef === undefined ? {} : { keyRef }),
      ...who,
      ...(trustedRoot === undefined ? {} : { trustedRoot }),
    },
  }
}

/** What a package is to be signed with. */
export interface SignChoice {
  sign?: string
}

export function signOption({ sign }: SignChoice): { sign?: { keyRef: string } } {
  return sign === undefined ? {} : { sign: { keyRef: sign } }
}

function checkTogether({ key, keyRef, identity, issuer, pattern, trustedRoot }: VerifyChoices): void {
  if (key !== undefined && keyRef !== undefined) throw new UsageError('--key and --key-ref exclude each other')
  if ((key !== undefined || keyRef !== undefined) && (identity !== undefined || issuer !== undefined)) {
    throw new UsageError(`--${key === undefined ? 'key-ref' : 'key'} and --identity exclude each other`)
  }
  if ((identity === undefined) !== (issuer === undefined)) throw new UsageError('--identity and --issuer go together')
  if (identity === undefined && (pattern || trustedRoot !== undefined)) {
    throw new UsageError(`${pattern ? '--pattern' : '--trusted-root'} needs --identity and --issuer`)
  }
}

function identityOf({ identity: san, issuer, pattern }: VerifyChoices) {
  if (san === undefined || issuer === undefined) return undefined
  return pattern ? { identityPattern: { san, issuer } } : { identity: { san, issuer } }
}

async function readKey(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > MAX_KEY_BYTES) throw new UsageError(`${path} has ${size} bytes: it is no public key`)
    return await file.readFile('utf8')
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `the key ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
    )
  }
}
