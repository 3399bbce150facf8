<?php
/**
 * Users come from the gateway: the headers that it sets say who is asking.
 */
class auth_plugin_authvestibule extends DokuWiki_Auth_Plugin
{
    public function __construct()
    {
        parent::__construct();
        $this->cando['external'] = true;
        $this->cando['logout'] = false; // that is at /accounts/logout/
    }

    /** Whoever the gateway names is logged in, for this request alone; nobody else is. */
    public function trustExternal($user, $pass, $sticky = false)
    {
        global $INPUT, $USERINFO;
        $told = fn($header) => $INPUT->server->str('HTTP_REMOTE_' . $header);
        $user = $told('USER');
        if ($user === '') return false;
        $USERINFO = [
            'name' => $told('NAME') ?: $user,
            'mail' => $told('EMAIL'),
            'grps' => array_values(array_filter(explode(',', 'user,' . $told('GROUPS')))),
        ];
        $INPUT->server->set('REMOTE_USER', $user);
        return true;
    }
}
