# acl.auth.php
# <?php exit()?>
# Everybody who is logged in reads; editors write, upload and delete.
*               @ALL          0
*               @user         1
*               @editors      16
