import tseslint from 'typescript-eslint';

/** Files that decide: they reach the world only through ports (docs/adr/0003). */
const pure = [
  'protocol/*.ts',
  'protocol/session/**/*.ts',
  'protocol/classad/**/*.ts',
  'protocol/bindings/bus.ts',
  'protocol/bindings/memory.ts',
  'broker/core/**/*.ts',
  'broker/matching/**/*.ts',
  'broker/service/**/*.ts',
  'broker/ledger/ledger.ts',
  'broker/ledger/memory.ts',
  'adapters/jobs/*.ts',
  'adapters/jobs/local/*.core.ts',
  'adapters/storage/*.ts',
  'agent/loop/**/*.ts',
];

const bannedGlobals = [
  'Date',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'fetch',
  'process',
  'performance',
  'crypto',
];

export default tseslint.config(
  { ignores: ['node_modules', '.tools', '.run', 'dist', 'coverage', 'protocol/generated'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/prefer-readonly': 'error',
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
    },
  },
  {
    files: pure,
    rules: {
      'no-restricted-globals': [
        'error',
        ...bannedGlobals.map((name) => ({
          name,
          message: 'Reach the world through a port (protocol/runtime), never directly.',
        })),
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['node:*', '!node:assert'],
              message: 'Reach the world through a port (protocol/runtime), never directly.',
            },
            {
              group: ['ws', 'fastify', 'pino', 'amqplib', '@xmpp/*'],
              message: 'Transports and servers stay outside the simulated boundary.',
            },
          ],
        },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Use the Random port.' },
      ],
    },
  },
);
